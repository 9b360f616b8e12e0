import {
  deriveTicketKey,
  type Plan,
  type TicketClaims,
  type TicketKey,
  writeTicket,
} from '@weir/contracts'

/** Id of the key under which the ledger checks what stages report. */
export const LEDGER_KEY_ID = 'k1'
/** Id of a stage's key from its registration. */
const FIRST_KEY_ID = 'k1'

/** Writes tickets for the stages on a plan's path and for the ledger. */
export function createTicketOffice(master: Buffer, keyIdsOf: (stage: string) => readonly string[]) {
  const keys = new Map<string, TicketKey>()
  const keyFor = (holder: string, id: string): TicketKey => {
    const name = `${holder}/${id}`
    let key = keys.get(name)
    if (key === undefined) {
      key = deriveTicketKey(master, holder, id)
      keys.set(name, key)
    }
    return key
  }
  return {
    write(plan: Plan, claims: TicketClaims): string {
      const holders = new Set(plan.steps.map((step) => step.stage))
      // A tag for each valid key: instances that still hold an older one go on during a rotation.
      const path = [...holders].flatMap((stage) => {
        const ids = keyIdsOf(stage)
        return (ids.length === 0 ? [FIRST_KEY_ID] : ids).map((id) => keyFor(stage, id))
      })
      return writeTicket([...path, keyFor('ledger', LEDGER_KEY_ID)], claims)
    },
  }
}

export type TicketOffice = ReturnType<typeof createTicketOffice>
