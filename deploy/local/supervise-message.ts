/** What the background process says to `up` while it starts. */
export type SuperviseMessage =
  | { readonly progress: string }
  | { readonly isReady: true }
  | { readonly failure: { readonly code: string; readonly message: string } }
