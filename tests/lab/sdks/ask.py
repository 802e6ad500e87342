"""Says whose credentials boto3 finds: their access key id, or the error."""
import boto3

try:
    found = boto3.Session().get_credentials()
    print(found.get_frozen_credentials().access_key if found else "none")
except Exception as error:
    print(f"{type(error).__name__}: {error}")
