/** What rows and models are, as scripts/compatibility reads them. */
export type {
  CompatibilityModel,
  CompatibilityRow,
  RefusedRow,
  WorkingRow,
} from '../../scripts/compatibility/row.ts'
