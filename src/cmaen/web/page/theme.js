// Runs before the page is drawn, so that a remembered choice of light or dark does not flash.
try {
  const kept = localStorage.getItem('cmaen-theme');
  if (kept === 'light' || kept === 'dark') document.documentElement.dataset.theme = kept;
} catch {
  // Without storage the system's choice holds.
}

// Browsers run no modules from a file, so that nothing else of the page can say it.
if (location.protocol === 'file:') {
  document.addEventListener('DOMContentLoaded', () => {
    const folder = decodeURIComponent(location.pathname)
      .replace(/[^/]*$/, '')
      .replace(/^\/([A-Za-z]:)/, '$1')
      .replace(/(.)\/$/, '$1');
    const told = document.createElement('div');
    told.className = 'notice bad from-file';
    const [why, command, then] = ['p', 'code', 'p'].map((tag) => document.createElement(tag));
    why.textContent =
      'This page cannot start from a file: browsers do not let it load its networks that way. Serve its folder with this command:';
    command.textContent = `python -m http.server --directory "${folder}"`;
    then.textContent = 'Then open http://localhost:8000. Nothing leaves this machine.';
    told.append(why, command, then);
    document.getElementById('notices').append(told);
    const where = document.getElementById('where');
    where.textContent = 'Not started';
    where.dataset.state = 'failed';
    for (const way of document.querySelectorAll('.intake button, .example')) way.disabled = true;
  });
}
