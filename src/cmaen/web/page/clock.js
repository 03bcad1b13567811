/** Moments of a film as people read them. */

/** 83.4 -> "1:23"; with one digit "1:23.4"; from an hour on "1:01:23". */
export function clock(seconds, digits = 0) {
  const unit = 10 ** digits;
  const whole = (digits ? Math.round : Math.floor)(Math.max(seconds, 0) * unit + 1e-6) / unit;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = (whole % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, '0');
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

/** 4.6 -> "4.6 s", 83 -> "1:23 min", 3683 -> "1:01:23 h". */
export function lasting(seconds) {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return `${clock(seconds)} ${seconds < 3600 ? 'min' : 'h'}`;
}

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

/**
 * Where an axis from 0 to an end has its marks, and how many digits their seconds need.
 * @param {number} end In seconds.
 * @param {number} most Marks.
 * @returns {{step: number, digits: number, moments: number[]}}
 */
export function marks(end, most) {
  const step = STEPS.find((one) => end / one <= most) ?? 86400 * Math.ceil(end / most / 86400);
  const moments = Array.from({ length: Math.floor(end / step + 1e-6) + 1 }, (_, i) => i * step);
  return { step, digits: step < 1 ? 1 : 0, moments };
}
