import { type Client, ClientError } from '@weir/client'
import { exitCodes } from './exit-codes.ts'
import { Failure } from './failure.ts'

/**
 * Calls what a server may be too old to have. 404 stands for a thing that is not there as for a
 * call that is not there: the server's own contract tells which.
 */
export async function callIfThere<Value>(
  client: Client,
  path: string,
  what: string,
  call: () => Promise<Value>,
): Promise<Value> {
  try {
    return await call()
  } catch (error) {
    if (!ClientError.is(error) || (error.status !== 404 && error.status !== 405)) throw error
    if (await isThere(client, path)) throw error
    throw new Failure(`this server does not have ${what} yet`, {
      exitCode: exitCodes.failure,
      code: 'not_in_this_server',
      hint: 'its version: weir doctor',
      cause: error,
    })
  }
}

async function isThere(client: Client, path: string): Promise<boolean> {
  try {
    return Object.hasOwn((await client.openapi()).paths, path)
  } catch {
    return false
  }
}
