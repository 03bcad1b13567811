/** Results as files: the same records and columns as `cmaen inference --output`. */

const COLUMNS = [
  'path',
  'frame',
  'time',
  'status',
  'error',
  'scheme',
  'face',
  'identity',
  'x',
  'y',
  'width',
  'height',
  'predicted_emotion',
  'confidence',
];

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
    faces: record.faces.map(({ explanation: _, ...face }) => face),
  }));
  return new Blob([`${JSON.stringify(plain, null, 2)}\n`], { type: 'application/json' });
}

/**
 * Results as CSV: a row for each face, and one for a picture without any.
 * @param {object[]} records
 * @param {string[]} labels
 */
export function asCsv(records, labels) {
  const columns = [...COLUMNS, ...labels];
  const lines = [columns.join(',')];
  for (const record of records) {
    const faces = record.faces.length ? record.faces : [null];
    faces.forEach((face, index) => lines.push(row(record, face, index, labels).map(cell).join(',')));
  }
  return new Blob([`${lines.join('\n')}\n`], { type: 'text/csv' });
}

function row(record, face, index, labels) {
  const whole = [record.path, record.frame, record.time, record.status, record.error, record.scheme];
  if (!face) return [...whole, ...Array(COLUMNS.length - whole.length + labels.length).fill(null)];
  const shares = labels.map((label) => face.probabilities[label]);
  return [...whole, index + 1, face.identity, ...face.box, face.predicted_emotion, face.confidence, ...shares];
}

/** A value as CSV has it; a text that a spreadsheet would take for a formula is disarmed. */
function cell(value) {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
