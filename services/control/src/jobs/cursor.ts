import { isUuid, WeirError } from '@weir/contracts'

/** Where a list goes on: the last id shown. Ids are UUIDv7, so newest first is largest first. */
export function formatCursor(id: string): string {
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')
}

/**
 * The id a cursor stands for. A cursor names a place in the order, never a row: one made from
 * another tenant's id shows nothing of it. Throws `invalid_request` where it is none of ours.
 */
export function parseCursor(cursor: string): string {
  const hex = Buffer.from(cursor, 'base64url').toString('hex')
  const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  if (!isUuid(id) || formatCursor(id) !== cursor) {
    throw new WeirError('invalid_request', 'The cursor is not one of this list.', {
      errors: [{ path: '/cursor', code: 'cursor', message: 'is not a cursor of this list' }],
    })
  }
  return id
}
