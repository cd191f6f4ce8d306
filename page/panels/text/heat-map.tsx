import { Scroll } from '../../ui/index.ts'
import './text.css'

/** Per cent of colour: sentences of one language are seldom less similar than 0.3, so that high numbers need the contrast. */
function heat(share: number): number {
  return Math.round(STRONGEST * Math.max(0, Math.min(1, share)) ** 3)
}

/** Numbers stay readable on this much colour. */
const STRONGEST = 45

interface HeatMapProps {
  readonly names: readonly string[]
  readonly values: readonly (readonly number[])[]
  /** The number that has the strongest colour. */
  readonly most?: number
}

/** A table whose cells have the colour of their number. */
export function HeatMap({ most = 1, names, values }: HeatMapProps) {
  return (
    <Scroll label="Similarities">
      <table class="heat">
        <thead>
          <tr>
            <td />
            {values.map((_, column) => (
              <th key={column} scope="col">
                <abbr title={names[column]}>{column + 1}</abbr>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {values.map((row, index) => (
            <tr key={index}>
              <th scope="row">
                {index + 1}. {names[index]}
              </th>
              {row.map((value, column) => (
                <td key={column} class="heat-cell" style={{ '--heat': `${heat(value / most)}%` }}>
                  {value.toFixed(2)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}
