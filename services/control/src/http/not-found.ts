import { WeirError } from '@weir/contracts'

export const NOTHING_HERE = 'There is no such thing here.'

/** The same for what does not exist and for what belongs to another tenant. */
export const notFound = (): WeirError => new WeirError('not_found', NOTHING_HERE)
