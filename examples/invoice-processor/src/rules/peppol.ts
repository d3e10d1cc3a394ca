/** What Peppol BIS Billing 3 asks for beyond the European norm. Applies only to documents that claim to follow it. */
import { parseDecimal, plain } from '../amount.ts';
import { first, select, textAt } from '../xml.ts';
import type { Judge } from './judge.ts';

const specification = 'urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0';
const process = /^urn:fdc:peppol\.eu:2017:poacc:billing:([0-9]{2}):1\.0$/;

export function peppol({ invoice, profile, report }: Judge): void {
  if (profile !== 'peppol') return;
  const { root, lineTag } = invoice;
  const profileId = textAt(root, 'cbc:ProfileID');
  if (profileId === undefined)
    report('PEPPOL-EN16931-R001', `${root.path}/ProfileID`, 'the business process (BT-23) is missing');
  else if (!process.test(profileId)) {
    report(
      'PEPPOL-EN16931-R007',
      `${root.path}/ProfileID`,
      `"${profileId}" is no process. Expected urn:fdc:peppol.eu:2017:poacc:billing:NN:1.0`,
    );
  }
  if (textAt(root, 'cbc:BuyerReference') === undefined && textAt(root, 'cac:OrderReference/cbc:ID') === undefined) {
    report(
      'PEPPOL-EN16931-R003',
      root.path,
      'neither a buyer reference (BT-10) nor an order reference (BT-13) is given. Expected one',
    );
  }
  if (invoice.customization !== undefined && !invoice.customization.startsWith(specification)) {
    report(
      'PEPPOL-EN16931-R004',
      `${root.path}/CustomizationID`,
      `found "${invoice.customization}". Expected it to start with ${specification}`,
    );
  }
  const endpoint = (rule: string, location: string, found: string | undefined, whose: string): void => {
    if (found === undefined) report(rule, `${location}/EndpointID`, `the electronic address of the ${whose} is missing`);
  };
  endpoint('PEPPOL-EN16931-R010', invoice.buyer.location, invoice.buyer.endpoint, 'buyer (BT-49)');
  endpoint('PEPPOL-EN16931-R020', invoice.seller.location, invoice.seller.endpoint, 'seller (BT-34)');
  const breakdowns = select(root, 'cac:TaxTotal').filter((each) => first(each, 'cac:TaxSubtotal') !== undefined);
  if (breakdowns.length > 1)
    report('PEPPOL-EN16931-R053', breakdowns[1]!.path, 'there is more than one VAT breakdown. Expected one');
  for (const price of select(root, `${lineTag}/cac:Price`)) {
    const gross = parseDecimal(textAt(price, 'cac:AllowanceCharge/cbc:BaseAmount') ?? '');
    const discount = parseDecimal(textAt(price, 'cac:AllowanceCharge/cbc:Amount') ?? '');
    const net = parseDecimal(textAt(price, 'cbc:PriceAmount') ?? '');
    if (gross !== undefined && discount !== undefined && net !== undefined && !net.equals(gross.minus(discount))) {
      const expected = plain(gross.minus(discount));
      report(
        'PEPPOL-EN16931-R046',
        `${price.path}/PriceAmount`,
        `the net price is ${plain(net)}, gross price - discount is ${expected}`,
      );
    }
  }
}
