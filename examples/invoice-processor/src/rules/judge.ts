/** What a rule is given and how it speaks. */
import type { Invoice } from '../ubl.ts';

/** An error makes the document wrong by the rule; a warning is worth a look. */
export type Severity = 'error' | 'warning';

export interface Violation {
  /** As published: `BR-CO-10`, `PEPPOL-EN16931-R120`; `XSD-…` for what the schema of UBL already forbids. */
  readonly rule: string;
  readonly severity: Severity;
  readonly message: string;
  /** `/Invoice/InvoiceLine[2]/LineExtensionAmount` */
  readonly location: string;
}

/** Which rule book applies: the European norm, or that and Peppol BIS Billing 3. */
export type Profile = 'en16931' | 'peppol';

export interface Judge {
  readonly invoice: Invoice;
  readonly profile: Profile;
  report(rule: string, location: string, message: string, severity?: Severity): void;
}
