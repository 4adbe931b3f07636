// Numbers, days and times as people read them.

const NUMBER = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact" });
const MONEY = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 4 });
const DATE = { day: "numeric", month: "short", year: "numeric" };
const DAY = new Intl.DateTimeFormat("en-GB", { ...DATE, timeZone: "UTC" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

/** Return a number, with what it counts if that is given: "1 token", "2,000 tokens". */
export function amount(value, what = "") {
  return NUMBER.format(value) + (what && ` ${what}${value === 1 ? "" : "s"}`);
}

/** Return a number in a few characters: "1.2K". */
export function short(value) {
  return SHORT.format(value);
}

/** Return a cost; one that is too small to be shown is not shown as nothing. */
export function money(value) {
  return value && value < 0.0001 ? "< 0.0001" : MONEY.format(value);
}

/** Return the day of UTC of a time in ms. */
export function dayOf(ms) {
  return DAY.format(ms);
}

/** Return a time of day, as this device has it. */
export function clock(date) {
  return CLOCK.format(date);
}

/** Return a time in s since 1970, in this time zone or in that of this device. */
export function momentOf(seconds, timeZone) {
  const format = { ...DATE, hour: "2-digit", minute: "2-digit", timeZone };
  const text = new Intl.DateTimeFormat("en-GB", format).format(seconds * 1000);
  return timeZone ? `${text} (${timeZone})` : text;
}

/** Return how long something takes: "12 s", "2 min". */
export function duration(seconds) {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}
