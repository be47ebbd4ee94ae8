// For `node --import`: programs of the checkout end as commands of the package do.
import { watchOutput } from '../bin/output.js'

watchOutput()
