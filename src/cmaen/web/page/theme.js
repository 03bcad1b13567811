// Runs before the page is drawn, so that a remembered choice of light or dark does not flash.
try {
  const kept = localStorage.getItem('cmaen-theme');
  if (kept === 'light' || kept === 'dark') document.documentElement.dataset.theme = kept;
} catch {
  // Without storage the system's choice holds.
}
