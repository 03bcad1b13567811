// node examples/client.mjs photo.jpg ...     with CMAEN_URL and CMAEN_API_KEY where they are not the defaults
import { openAsBlob } from "node:fs";

const form = new FormData();
for (const path of process.argv.slice(2)) form.append("images", await openAsBlob(path), path);
const { CMAEN_URL = "http://localhost:8000", CMAEN_API_KEY } = process.env;
const headers = CMAEN_API_KEY ? { Authorization: `Bearer ${CMAEN_API_KEY}` } : {};
const response = await fetch(`${CMAEN_URL}/v1/predict?top_k=3`, { method: "POST", body: form, headers });
const answer = await response.json();
if (!response.ok) throw new Error(answer.detail);
for (const { path, status, error, top } of answer) console.log(path, status, error ?? top);
