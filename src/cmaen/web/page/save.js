/** Results as files: the same records and columns as `cmaen inference --output`. */

/** Offer a file to save. */
export function download(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/**
 * Results as JSON.
 * @param {object[]} records
 */
export function asJson(records) {
  const plain = records.map((record) => ({
    ...record,
    faces: record.faces.map(({ explanation: _, crop: __, ...face }) => face),
  }));
  return new Blob([`${JSON.stringify(plain, null, 2)}\n`], { type: 'application/json' });
}

/**
 * Results as CSV: a row for each face, and one for a picture without any. Where something is to be noted of a picture,
 * as that its numbers mean nothing, there is a last column more, `note`.
 * @param {object[]} records
 * @param {{columns: string[], labels: string[]}} names The package's columns, and the labels of the answers.
 */
export function asCsv(records, { columns, labels }) {
  const all = [...columns, ...labels].map((name) => ({ name, of: (row) => row[name] }));
  if (records.some((record) => record.note)) all.push({ name: 'note', of: (_, record) => record.note });
  const lines = [all.map(({ name }) => quoted(name)).join(',')];
  for (const record of records) {
    for (const row of rows(record)) lines.push(all.map(({ of }) => cell(of(row, record))).join(','));
  }
  return new Blob([`${lines.join('\n')}\n`], { type: 'text/csv' });
}

/** The rows of a record, by column; what does not apply is left out. */
function rows({ path, frame, time, status, error, scheme, faces }) {
  const common = { path, frame, time, status, error, scheme };
  if (!faces.length) return [common];
  return faces.map(({ box, identity, person, predicted_emotion, confidence, probabilities }, index) => {
    const [x, y, width, height] = box;
    const own = { face: index + 1, identity, person, x, y, width, height, predicted_emotion, confidence };
    return { ...common, ...own, ...probabilities };
  });
}

/** A value as CSV has it; a text that a spreadsheet would take for a formula is disarmed. */
function cell(value) {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return String(value);
  return quoted(/^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value));
}

function quoted(text) {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
