/** Addresses of envelopes and header lists, and where rewriting sends them. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { addressesIn, parseAddress } from '../../src/mailer/address.ts'
import { Rewriter, type RewriteSettings } from '../../src/mailer/rewrite.ts'

describe('parseAddress()', () => {
  const ok = (text: string, want: string): void => {
    expect(parseAddress(text, 'box.test')).toEqual({ ok: true, value: want })
  }
  const bad = (text: string): void => expect(parseAddress(text, 'box.test').ok).toBe(false)

  test('takes what can stand in an envelope', () => {
    ok('a@x.test', 'a@x.test')
    ok('root', 'root@box.test')
    ok('A.b+c@X.Test.', 'A.b+c@x.test')
    ok('"a b"@x.test', '"a b"@x.test')
    ok('müller@bücher.test', 'müller@bücher.test')
    ok('a@[127.0.0.1]', 'a@[127.0.0.1]')
  })

  test('refuses what could become something else', () => {
    for (const text of ['', 'a b@x.test', 'a@', '@x.test', 'a@x..test', 'a>b@x.test', 'a@x.test>'])
      bad(text)
    for (const text of ['a\r\nRCPT TO:<b@x.test>', 'a@x.test\r\n', 'a\0@x.test', '"a\n"@x.test'])
      bad(text)
    bad(`${'a'.repeat(65)}@x.test`)
    bad(`a@${'x'.repeat(256)}`)
  })

  test('what it takes is one word without brackets', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const address = parseAddress(text, 'box.test')
        if (address.ok && !address.value.startsWith('"')) {
          expect(address.value).not.toMatch(/[\s<>\p{Cc}]/u)
        }
      }),
    )
  })
})

test('addressesIn() reads lists with names, comments and groups', () => {
  const ok = (header: string, want: string[]): void => expect(addressesIn(header)).toEqual(want)
  ok('a@x.test', ['a@x.test'])
  ok('"A, B" <a@x.test>, c@y.test (C, D)', ['a@x.test', 'c@y.test'])
  ok('Team: a@x.test, B <b@x.test>; c@x.test', ['a@x.test', 'b@x.test', 'c@x.test'])
  ok('root, ', ['root'])
  ok('', [])
})

describe('Rewriter', () => {
  const make = (settings: Partial<RewriteSettings>): Rewriter => {
    const created = Rewriter.create({
      hostname: 'box.test',
      alertAddress: undefined,
      aliases: '',
      from: undefined,
      rewriteSenders: 'local',
      ...settings,
    })
    if (!created.ok) throw new Error(created.error.join('\n'))
    return created.value
  }

  test('the alert address takes everything', () => {
    const rewriter = make({ alertAddress: 'ops@x.test, dev@x.test', aliases: 'root=r@x.test' })
    for (const address of ['root@box.test', 'a@y.test', 'postmaster@localhost']) {
      expect(rewriter.recipients(address)).toEqual(['ops@x.test', 'dev@x.test'])
    }
  })

  test('aliases lead from this machine, through others, and to several', () => {
    const rewriter = make({ aliases: 'root=ops@x.test,dev@x.test www=root loop=loop' })
    expect(rewriter.recipients('www@localhost')).toEqual(['ops@x.test', 'dev@x.test'])
    expect(rewriter.recipients('postmaster@box.test')).toEqual(['ops@x.test', 'dev@x.test'])
    expect(rewriter.recipients('loop@box.test')).toEqual(['loop@box.test'])
    expect(rewriter.recipients('www@elsewhere.test')).toEqual(['www@elsewhere.test'])
    expect(rewriter.recipients('who@box.test')).toEqual(['who@box.test'])
  })

  test('senders: none, those of this machine, all; never the null sender', () => {
    const sender = (rewriteSenders: RewriteSettings['rewriteSenders'], address: string): string =>
      make({ from: 'emon@x.test', rewriteSenders }).sender(address).address
    expect(sender('none', 'root@box.test')).toBe('root@box.test')
    expect(sender('local', 'root@box.test')).toBe('emon@x.test')
    expect(sender('local', 'a@y.test')).toBe('a@y.test')
    expect(sender('all', 'a@y.test')).toBe('emon@x.test')
    expect(sender('all', '')).toBe('')
  })

  test('complains about every bad setting at once', () => {
    const created = Rewriter.create({
      hostname: 'box.test',
      alertAddress: 'a b@x.test',
      aliases: 'root www=a@@',
      from: 'x@',
      rewriteSenders: 'all',
    })
    expect(created.ok).toBe(false)
    if (!created.ok) expect(created.error).toHaveLength(4)
  })
})
