// Stands in for the AWS SDK that Lambda's Node.js brings: ministack's own stand-in does not list what it exports,
// and the function behind the CDK's AwsCustomResource looks its client up in that list.
const { createHash, createHmac } = require("node:crypto");

const SERVICE = "codebuild";

class CodeBuildClient {
  config = { region: async () => process.env.AWS_REGION };

  async send({ input }) {
    const endpoint = new URL(process.env.AWS_ENDPOINT_URL);
    const body = JSON.stringify(input);
    const headers = {
      "content-type": "application/x-amz-json-1.1",
      host: endpoint.host,
      "x-amz-date": new Date().toISOString().replace(/[-:]|\.\d+/g, ""),
      "x-amz-security-token": process.env.AWS_SESSION_TOKEN,
      "x-amz-target": "CodeBuild_20161006.StartBuild",
    };
    const signed = { ...headers, authorization: authorization(headers, body) };
    const reply = await fetch(endpoint, { method: "POST", headers: signed, body });
    if (!reply.ok) throw new Error(await reply.text());
    return reply.json();
  }
}

class StartBuildCommand {
  constructor(input) {
    this.input = input;
  }
}

/** Sign a POST to /. Source: AWS, "Create a signed AWS API request" (Signature Version 4), read 2026-11-23. */
function authorization(headers, body) {
  const time = headers["x-amz-date"];
  const steps = [time.slice(0, 8), process.env.AWS_REGION, SERVICE, "aws4_request"];
  const names = Object.keys(headers).join(";"); // in alphabetical order
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const request = ["POST", "/", "", lines.join(""), names, hash(body)].join("\n");
  const text = ["AWS4-HMAC-SHA256", time, steps.join("/"), hash(request)].join("\n");
  const key = steps.reduce(mac, `AWS4${process.env.AWS_SECRET_ACCESS_KEY}`);
  const credential = [process.env.AWS_ACCESS_KEY_ID, ...steps].join("/");
  return `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${mac(key, text).toString("hex")}`;
}

function hash(text) {
  return createHash("sha256").update(text).digest("hex");
}

function mac(key, text) {
  return createHmac("sha256", key).update(text).digest();
}

module.exports = { CodeBuildClient, StartBuildCommand };
