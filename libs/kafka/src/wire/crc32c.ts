const POLYNOMIAL = 0x82f63b78
const SLICES = 8

/** Eight tables: eight bytes a step, about four times the speed of one table. */
const tables: Uint32Array[] = buildTables()

function buildTables(): Uint32Array[] {
  const first = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    first[byte] = crc >>> 0
  }
  const built = [first]
  for (let slice = 1; slice < SLICES; slice++) {
    const before = built[slice - 1] as Uint32Array
    const next = new Uint32Array(256)
    for (let byte = 0; byte < 256; byte++) {
      const crc = before[byte] as number
      next[byte] = ((crc >>> 8) ^ (first[crc & 0xff] as number)) >>> 0
    }
    built.push(next)
  }
  return built
}

const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
]

/** CRC-32C of `bytes[from..to)`, as record batches carry it. */
export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0xffffffff
  let at = from
  const end8 = to - ((to - from) % SLICES)
  while (at < end8) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24))
    crc =
      (t7[low & 0xff] as number) ^
      (t6[(low >>> 8) & 0xff] as number) ^
      (t5[(low >>> 16) & 0xff] as number) ^
      (t4[low >>> 24] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number)
    at += SLICES
  }
  while (at < to) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[at++] as number)) & 0xff] as number)
  return (crc ^ 0xffffffff) >>> 0
}
