import { resolve } from 'node:path'

/** The root of the checkout this launcher belongs to. */
export const repositoryDir = resolve(import.meta.dirname, '..', '..')
