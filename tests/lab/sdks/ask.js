// Says whose credentials the SDK finds: their access key id, or the error.
const AWS = require("aws-sdk");

AWS.config.getCredentials((error) => console.log(error ? `${error.code}: ${error.message}` : AWS.config.credentials.accessKeyId));
