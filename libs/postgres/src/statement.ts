/**
 * One SQL statement with its values bound. A `name` prepares it once per connection: give one to
 * what runs often, never to text that varies.
 */
export type Statement = {
  readonly name?: string
  readonly text: string
  readonly values?: readonly unknown[]
}

/** Reads and writes inside one transaction. */
export type Tx = {
  /** Rows of one statement. Statements sent without waiting travel in one round trip. */
  query<Row = Record<string, unknown>>(statement: Statement): Promise<Row[]>
  /** How many rows a statement changed. */
  execute(statement: Statement): Promise<number>
}
