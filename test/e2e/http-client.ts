import { get } from 'node:http'

// A program of the lab: asks for a page over and over, each time on a new connection, and says what
// came. Standard output: {"event":"answer","server":NAME} or {"event":"lost","code":CODE} a request.
// Ends with its standard input.

const [host = '', intervalMs = '20'] = process.argv.slice(2)

function tell(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

function ask(): void {
  const request = get({ host, path: '/', agent: false, timeout: 3000 }, (response) => {
    let body = ''
    response.setEncoding('utf8')
    response.on('data', (text: string) => (body += text))
    response.on('end', () => {
      if (response.statusCode === 200) tell({ event: 'answer', server: body.trim() })
      else tell({ event: 'lost', code: `status ${response.statusCode}` })
    })
  })
  request.on('timeout', () => request.destroy(Object.assign(new Error('no answer'), { code: 'TIMEOUT' })))
  request.on('error', (error: NodeJS.ErrnoException) => tell({ event: 'lost', code: error.code }))
}

const timer = setInterval(ask, Number(intervalMs))
process.stdin.on('end', () => clearInterval(timer)).resume()
