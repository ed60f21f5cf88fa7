/** Whether single-letter shortcuts are on. Speech input may trigger them by accident, so they can be switched off. */

const OFF = "batch-keys-off";

export const lettersAreOn = () => !localStorage.getItem(OFF);

/** @param {boolean} on */
export function setLetters(on) {
  if (on) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, "1");
}
