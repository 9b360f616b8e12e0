import { completeWords } from '../complete-words.ts'
import type { Run } from '../context.ts'

const bash = `_weir() {
  local IFS=$'\\n'
  COMPREPLY=($(weir __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _weir weir`

const zsh = `#compdef weir
_weir() {
  local -a found
  found=("\${(@f)$(weir __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${found[1]}" ]]; then compadd -- "\${found[@]}"; else _files; fi
}
compdef _weir weir`

const fish = `function __weir_complete
  set -l words (commandline -opc) (commandline -ct)
  weir __complete -- $words[2..-1] 2>/dev/null
end
complete -c weir -a '(__weir_complete)'`

const scripts: Readonly<Record<string, string>> = { bash, zsh, fish }

export const completion: Run = async ({ out, args }) => {
  out.line(scripts[args[0] as string] as string)
}

/** One candidate a line; silent about all errors, since nobody has asked for anything yet. */
export const complete: Run = async ({ out, args, io, tree }) => {
  const words = args.filter((word) => word !== undefined)
  const own = words[0] === '--' ? words.slice(1) : words
  out.line((await completeWords(tree, own, io)).join('\n'))
}
