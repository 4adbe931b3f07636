// Calls of the API, for all pages.

/** A failure in the API's words. `retryAfterS`: when the same request may succeed; null: the API names no time. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = null, retryAfterS = null } = {}) {
    super(message);
    Object.assign(this, { status, code, retryAfterS });
  }
}

// Other characters cannot be sent, and are in no key.
const KEY = /^[\x21-\x7e]*$/;

/** Call the API. Throws ApiError, unless the caller has aborted it. */
export async function call(path, { key, body, signal } = {}) {
  const headers = new Headers(body && { "content-type": "application/json" });
  if (key && !KEY.test(key)) {
    const message = "This is no API key: it has characters that are in none. Copy it once more, whole.";
    throw new ApiError(message, { status: 401, code: "invalid_api_key" });
  }
  if (key) headers.set("authorization", `Bearer ${key}`);
  const response = await fetch(path, { method: body ? "POST" : "GET", headers, body, signal }).catch((error) => {
    if (signal?.aborted) throw error;
    throw new ApiError("The server did not answer. Is it running, and is this device online?");
  });
  if (!response.ok) throw await failure(response);
  return response;
}

/** Return what a response says went wrong: the API's errors, and those of what stands before it. */
async function failure(response) {
  const { headers, status } = response;
  const body = await response.json().catch(() => ({}));
  const message = body.error?.message ?? body.message ?? body.Message ?? `The server responded with status ${status}.`;
  const code = body.error?.code;
  const waitS = Number.parseFloat(headers.get("retry-after"));
  const isFinal = headers.get("x-should-retry") === "false" || Number.isNaN(waitS);
  return new ApiError(message, { status, code, retryAfterS: isFinal ? null : waitS });
}
