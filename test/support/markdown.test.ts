import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findUnprinted, readBlocks } from './markdown.ts'

test('the blocks of a document are read with language, words and place', () => {
  const document = 'text\n\n```sh status=5\na\n\nb\n```\n```\nplain\n```\nnot ```inline```\n'
  assert.deepEqual(readBlocks(document), [
    { language: 'sh', words: ['status=5'], text: 'a\n\nb\n', line: 3 },
    { language: '', words: [], text: 'plain\n', line: 8 },
  ])
})

test('what is shown has to be printed, line by line, apart from ids and times', () => {
  const shown = 'job  01a21e65-a11f-7072-9c4c-5690636e0604\nstatus  completed after 61 ms\n'
  const printed = 'log line\njob 01a21e65-0000-7072-9c4c-5690636e0604\nstatus completed after 1.5 s'
  assert.equal(findUnprinted(shown, printed), undefined)
  assert.equal(findUnprinted('status failed', printed), 'status failed')
  assert.equal(findUnprinted('status completed after 61 ms\njob x', printed), 'job x')
})
