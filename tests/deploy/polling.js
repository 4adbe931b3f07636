// CDK's command line waits 5 seconds before it looks again whether a stack is done. Here most are done in one.
const POLL_MS = 5000;
const OURS_MS = 250;

// Only a promise's own `resolve` is native code: timeouts of 5 seconds have callbacks of their own.
const waits = (callback, ms) => ms === POLL_MS && /\[native code\]/.test(callback);

globalThis.setTimeout = new Proxy(globalThis.setTimeout, {
  apply: (target, self, [callback, ms, ...more]) =>
    target.call(self, callback, waits(callback, ms) ? OURS_MS : ms, ...more),
});
