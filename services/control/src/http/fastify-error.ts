import { type ErrorCode, WeirError } from '@weir/contracts'

const codes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_request',
  FST_ERR_BAD_URL: 'invalid_request',
  FST_ERR_MAX_PARAM_LENGTH: 'uri_too_long',
  FST_ERR_HANDLER_TIMEOUT: 'unavailable',
}

const sentences: Partial<Record<ErrorCode, string>> = {
  payload_too_large: 'The body is larger than this route reads.',
  unsupported_media_type: 'The route does not read this content type.',
  invalid_request: 'The request could not be read.',
  uri_too_long: 'A part of the address is too long.',
  unavailable: 'The request took too long.',
}

/** A fault that the framework found, as one of ours; anything else comes back as it is. */
export function fromFastifyError(error: unknown): unknown {
  if (WeirError.is(error) || typeof error !== 'object' || error === null) return error
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown }
  const known = typeof code === 'string' ? codes[code] : undefined
  const isTheirs = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
  const ours = known ?? (isTheirs ? 'invalid_request' : undefined)
  if (ours === undefined) return error
  const extra = ours === 'unavailable' ? { retryAfterS: 1 } : {}
  return new WeirError(ours, sentences[ours] ?? 'The request could not be read.', {
    ...extra,
    cause: error,
  })
}

/** A fault of the connection itself, before there is a request: an answer by hand. */
export function socketErrorCode(error: { code?: string }): ErrorCode {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large'
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout'
  return 'invalid_request'
}
