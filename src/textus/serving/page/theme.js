"use strict";
/* Light or dark: as the system has it, until somebody chooses. Read before anything is drawn. */

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Return `light` or `dark`. */
function theme() {
  return document.documentElement.dataset.theme || (DARK.matches ? "dark" : "light");
}

/** Take a choice and keep it for the next visit; without one, take what was kept. */
function setTheme(chosen) {
  try {
    if (chosen) localStorage.setItem("textus.theme", chosen);
    else chosen = localStorage.getItem("textus.theme");
  } catch {
    // a browser that keeps nothing shows what the system says
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}

setTheme();
