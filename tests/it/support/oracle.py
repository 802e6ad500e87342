"""Starts the emulators, answers questions about them as JSON lines, and takes them down.

One process of this runs per test binary. It lives as long as its standard input: however the
test binary ends, killed included, the pipe closes and nothing is left running.

Arguments: a folder for logs. First line out: {"ministack": port, "moto": port} or {"fatal": text}.
"""

import base64
import concurrent.futures
import ctypes
import datetime
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

LOGS = sys.argv[1]

# What the developer has in the environment (profiles, endpoints, proxies) must reach neither the
# emulators nor boto3: tests would differ from machine to machine.
for name in list(os.environ):
    if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
        del os.environ[name]
os.environ.update(
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    NO_PROXY="127.0.0.1",
    PYTHONUNBUFFERED="1",
)

import boto3  # noqa: E402  (reads the environment set above)
import botocore.auth  # noqa: E402
import botocore.awsrequest  # noqa: E402
import botocore.config  # noqa: E402
import botocore.credentials  # noqa: E402
import botocore.exceptions  # noqa: E402

children = []


def die_with_parent():
    # A second line of defence, on Linux only: the kernel takes the emulators down if this process
    # itself is killed, when no `finally` runs.
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    except (OSError, AttributeError):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(name, command, environment):
    # Always from the main thread: Linux takes "the parent died" to mean the thread that forked.
    log_path = os.path.join(LOGS, f"{name}-{os.getpid()}.log")
    with open(log_path, "wb") as log:
        child = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=LOGS,
            preexec_fn=die_with_parent,
        )
    children.append(child)
    return name, child, log_path


def wait_until_up(started, port, path):
    name, child, log_path = started
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if child.poll() is not None:
            return f"{name} ended with {child.returncode} while starting; its log is {log_path}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                return None
        except urllib.error.HTTPError:
            return None
        except OSError:
            time.sleep(0.02)
    return f"{name} did not answer on port {port} within 120 s; its log is {log_path}"


def start_emulators():
    binaries = os.path.dirname(sys.executable)
    # A port found free can be taken by another process before the emulator binds it.
    for _ in range(3):
        ministack_port, moto_port = free_port(), free_port()
        ministack = start(
            "ministack",
            [sys.executable, os.path.join(binaries, "ministack")],
            {
                "BIND_HOST": "127.0.0.1",
                "GATEWAY_PORT": str(ministack_port),
                # Policies and signatures are enforced.
                "AUTH": "true",
                # Listeners on fixed ports, which a second test binary could not have.
                "IOT_MTLS_ENABLED": "0",
                "SFTP_ENABLED": "0",
            },
        )
        moto = start(
            "moto", [sys.executable, os.path.join(binaries, "moto_server"), "-H", "127.0.0.1", "-p", str(moto_port)], {}
        )
        failures = [
            failure
            for failure in (
                wait_until_up(ministack, ministack_port, "/_ministack/health"),
                wait_until_up(moto, moto_port, "/moto-api/data.json"),
            )
            if failure
        ]
        if not failures:
            return ministack_port, moto_port
        stop_children()
    say({"fatal": "; ".join(failures)})
    sys.exit(1)


def stop_children():
    for child in children:
        child.kill()
    for child in children:
        child.wait()
    children.clear()


say_lock = threading.Lock()


def say(value):
    line = json.dumps(value, default=plain)
    with say_lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def plain(value):
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            return base64.b64encode(value).decode("ascii")
    if hasattr(value, "read"):
        return plain(value.read())
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


clients = {}
clients_lock = threading.Lock()
moto_keys = {}
session = boto3.session.Session()
configuration = botocore.config.Config(
    retries={"total_max_attempts": 1},
    s3={"addressing_style": "path"},
    max_pool_connections=16,
)


def over_tls(request, **_):
    # AWS is only spoken to over TLS, and ministack enforces what policies say of it.
    request.headers["x-forwarded-proto"] = "https"


def make_client(service, port, key, secret, region):
    made = session.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name=region,
        config=configuration,
    )
    made.meta.events.register("before-send", over_tls)
    return made


def moto_key(account):
    """The access key that *is* this account for moto, which knows accounts only by such keys."""
    if account not in moto_keys:
        anyone = make_client("sts", ports["moto"], "anyone", "test", "us-east-1")
        role = anyone.assume_role(RoleArn=f"arn:aws:iam::{account}:role/x", RoleSessionName="bed")
        iam = make_client("iam", ports["moto"], role["Credentials"]["AccessKeyId"], "test", "us-east-1")
        iam.create_user(UserName="bed")
        moto_keys[account] = iam.create_access_key(UserName="bed")["AccessKey"]["AccessKeyId"]
    return moto_keys[account]


# Where the request under way goes: to the emulators, unless it names another endpoint, which serves
# all of AWS to the access keys of these accounts: {"port": port, "keys": {account: [id, secret]}}.
here = threading.local()


def elsewhere():
    return getattr(here, "endpoint", None)


def client(service, account, region="us-east-1"):
    """A boto3 client that is root of the account, straight at what serves the service."""
    endpoint = elsewhere()
    with clients_lock:
        if endpoint:
            place = (service, account, region, endpoint["port"])
            if place not in clients:
                clients[place] = make_client(service, endpoint["port"], *endpoint["keys"][account], region)
            return clients[place]
        found = clients.get((service, account, region))
        if found is None:
            if service == "codepipeline":
                found = make_client(service, ports["moto"], moto_key(account), "test", region)
            else:
                found = make_client(service, ports["ministack"], account, "test", region)
            clients[service, account, region] = found
        return found


def moto_client(service, account, region="us-east-1"):
    """The same at moto, for the little that moto must know beside pipelines."""
    with clients_lock:
        return make_client(service, ports["moto"], moto_key(account), "test", region)


def call(request):
    service = request["service"]
    made = client(service, request["account"], request.get("region", "us-east-1"))
    arguments = request.get("kwargs") or {}
    for name in ("Body", "Plaintext", "CiphertextBlob"):
        if isinstance(arguments.get(name), str):
            arguments[name] = arguments[name].encode("utf-8")
    # Documents are given as JSON in tests and as text to AWS.
    for name in ("PolicyDocument", "AssumeRolePolicyDocument", "Policy", "EventPattern"):
        if isinstance(arguments.get(name), (dict, list)):
            arguments[name] = json.dumps(arguments[name])
    answer = getattr(made, request["method"])(**arguments)
    if isinstance(answer, dict):
        answer.pop("ResponseMetadata", None)
    return answer


def pages(made, method, member, **arguments):
    return [item for page in made.get_paginator(method).paginate(**arguments) for item in page.get(member, [])]


def absent(function, *codes, **arguments):
    """The answer, or None if AWS would say that there is no such thing."""
    try:
        answer = function(**arguments)
    except botocore.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code in codes or code.startswith("NoSuch"):
            return None
        raise
    answer.pop("ResponseMetadata", None)
    return answer


def document(value):
    """A policy document as JSON, whichever of AWS's three forms it came in."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            try:
                return json.loads(urllib.parse.unquote(value))
            except ValueError:
                return value
    return value


def tag_map(tags, key="Key", value="Value"):
    return {tag[key]: tag[value] for tag in sorted(tags or [], key=lambda tag: tag[key])}


def dump_role(iam, listed):
    name = listed["RoleName"]
    role = iam.get_role(RoleName=name)["Role"]
    inline = pages(iam, "list_role_policies", "PolicyNames", RoleName=name)
    return {
        "arn": role["Arn"],
        "path": role["Path"],
        "description": role.get("Description"),
        "max_session_duration": role.get("MaxSessionDuration"),
        "permissions_boundary": (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
        "trust": document(role["AssumeRolePolicyDocument"]),
        "tags": tag_map(iam.list_role_tags(RoleName=name)["Tags"]),
        "attached": sorted(
            attached["PolicyArn"]
            for attached in pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name)
        ),
        "inline": {
            policy: document(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
            for policy in sorted(inline)
        },
    }


def dump_policy(iam, listed):
    arn = listed["Arn"]
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    default = policy["DefaultVersionId"]
    return {
        "arn": arn,
        "path": policy.get("Path"),
        "description": policy.get("Description"),
        "default_version": default,
        "versions": sorted(version["VersionId"] for version in versions),
        "document": document(iam.get_policy_version(PolicyArn=arn, VersionId=default)["PolicyVersion"]["Document"]),
        "tags": tag_map(iam.list_policy_tags(PolicyArn=arn)["Tags"]),
    }


def dump_user(iam, listed):
    name = listed["UserName"]
    return {
        "arn": listed["Arn"],
        "path": listed["Path"],
        "attached": sorted(
            attached["PolicyArn"] for attached in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
        ),
        "inline": {
            policy: document(iam.get_user_policy(UserName=name, PolicyName=policy)["PolicyDocument"])
            for policy in sorted(iam.list_user_policies(UserName=name)["PolicyNames"])
        },
    }


def dump_key(kms, aliases, key_id):
    metadata = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    if metadata.get("KeyManager") == "AWS":
        return None
    pending = metadata["KeyState"] not in ("Enabled", "Disabled")
    rotation = {} if pending else absent(
        kms.get_key_rotation_status, "UnsupportedOperationException", "KMSInvalidStateException", KeyId=key_id
    ) or {}
    policy = absent(kms.get_key_policy, "KMSInvalidStateException", KeyId=key_id, PolicyName="default")
    tags = absent(kms.list_resource_tags, "KMSInvalidStateException", KeyId=key_id) or {}
    return {
        "arn": metadata["Arn"],
        "description": metadata.get("Description"),
        "state": metadata["KeyState"],
        "usage": metadata.get("KeyUsage"),
        "spec": metadata.get("KeySpec"),
        "multi_region": metadata.get("MultiRegion", False),
        "multi_region_configuration": metadata.get("MultiRegionConfiguration"),
        "rotation": rotation.get("KeyRotationEnabled"),
        "rotation_period_in_days": rotation.get("RotationPeriodInDays"),
        "aliases": sorted(alias["AliasName"] for alias in aliases if alias.get("TargetKeyId") == key_id),
        "policy": document((policy or {}).get("Policy")),
        "tags": tag_map(tags.get("Tags"), "TagKey", "TagValue"),
    }


def dump_bucket(account, name):
    region = client("s3", account).head_bucket(Bucket=name)["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"]
    s3 = client("s3", account, region)

    def part(method, *codes):
        return absent(getattr(s3, method), *codes, Bucket=name)

    versions = {}
    for kind in ("Versions", "DeleteMarkers"):
        for version in pages(s3, "list_object_versions", kind, Bucket=name):
            versions[version["Key"]] = versions.get(version["Key"], 0) + 1
    encryption = part("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError")
    public = part("get_public_access_block", "NoSuchPublicAccessBlockConfiguration")
    ownership = part("get_bucket_ownership_controls", "OwnershipControlsNotFoundError")
    return {
        "region": region,
        "policy": document((part("get_bucket_policy") or {}).get("Policy")),
        "versioning": (part("get_bucket_versioning") or {}).get("Status"),
        "encryption": ((encryption or {}).get("ServerSideEncryptionConfiguration") or {}).get("Rules"),
        "public_access_block": (public or {}).get("PublicAccessBlockConfiguration"),
        "ownership": ((ownership or {}).get("OwnershipControls") or {}).get("Rules"),
        "tags": tag_map((part("get_bucket_tagging") or {}).get("TagSet")),
        "notification": part("get_bucket_notification_configuration"),
        "lifecycle": (part("get_bucket_lifecycle_configuration") or {}).get("Rules"),
        "objects": dict(sorted(versions.items())),
    }


def dump_rule(events, listed):
    rule = events.describe_rule(Name=listed["Name"])
    return {
        "arn": rule["Arn"],
        "pattern": document(rule.get("EventPattern")),
        "schedule": rule.get("ScheduleExpression"),
        "state": rule.get("State"),
        "description": rule.get("Description"),
        "role": rule.get("RoleArn"),
        "targets": sorted(events.list_targets_by_rule(Rule=listed["Name"])["Targets"], key=lambda target: target["Id"]),
        "tags": tag_map(events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"]),
    }


def dump_pipeline(account, region, listed):
    pipelines = client("codepipeline", account, region)
    raw = raw_codepipeline(account, region, "GetPipeline", {"name": listed["name"]})
    arn = f"arn:aws:codepipeline:{region}:{account}:{listed['name']}"
    return {
        "arn": arn,
        "pipeline": raw["pipeline"],
        "tags": tag_map(pipelines.list_tags_for_resource(resourceArn=arn)["tags"], "key", "value"),
        "executions": len(
            raw_codepipeline(account, region, "ListPipelineExecutions", {"pipelineName": listed["name"]})[
                "pipelineExecutionSummaries"
            ]
        ),
    }


def dump_account(account, regions):
    iam = client("iam", account)
    found = {
        "roles": {role["RoleName"]: dump_role(iam, role) for role in pages(iam, "list_roles", "Roles")},
        "policies": {
            policy["PolicyName"]: dump_policy(iam, policy)
            for policy in pages(iam, "list_policies", "Policies", Scope="Local")
        },
        "users": {user["UserName"]: dump_user(iam, user) for user in pages(iam, "list_users", "Users")},
        "buckets": {
            bucket["Name"]: dump_bucket(account, bucket["Name"])
            for bucket in client("s3", account).list_buckets()["Buckets"]
        },
        "keys": {},
        "rules": {},
        "pipelines": {},
    }
    for region in regions:
        kms = client("kms", account, region)
        aliases = pages(kms, "list_aliases", "Aliases")
        keys = {key["KeyId"]: dump_key(kms, aliases, key["KeyId"]) for key in pages(kms, "list_keys", "Keys")}
        found["keys"][region] = {key_id: key for key_id, key in keys.items() if key}
        events = client("events", account, region)
        found["rules"][region] = {
            rule["Name"]: dump_rule(events, rule) for rule in events.list_rules().get("Rules", [])
        }
        found["pipelines"][region] = {
            pipeline["name"]: dump_pipeline(account, region, pipeline)
            for pipeline in client("codepipeline", account, region).list_pipelines()["pipelines"]
        }
    # Names that tests choose stay in a fixed order whatever order the emulators list them in.
    return {
        kind: {name: things[name] for name in sorted(things)} for kind, things in found.items()
    }


def raw_codepipeline(account, region, operation, body):
    """A call without boto3's models, which drop what they don't know: members survive both ways."""
    endpoint = elsewhere()
    data = json.dumps(body).encode("utf-8")
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"CodePipeline_20150709.{operation}",
    }
    if endpoint:
        url = f"http://127.0.0.1:{endpoint['port']}/"
        signed = botocore.awsrequest.AWSRequest("POST", url, headers=headers, data=data)
        keys = botocore.credentials.Credentials(*endpoint["keys"][account])
        botocore.auth.SigV4Auth(keys, "codepipeline", region).add_auth(signed)
        headers = dict(signed.headers)
    else:
        url = f"http://127.0.0.1:{ports['moto']}/"
        with clients_lock:
            key = moto_key(account)
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={key}/20200101/{region}/codepipeline/aws4_request, "
            "SignedHeaders=host, Signature=0"
        )
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        problem = document(error.read().decode("utf-8", "replace"))
        if not isinstance(problem, dict):
            raise
        raise OracleError(problem.get("__type", "Unknown"), problem.get("message", "")) from None
    return json.loads(text) if text else {}


class OracleError(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def answer(request):
    operation = request["op"]
    if operation == "call":
        return call(request)
    if operation == "codepipeline":
        return raw_codepipeline(request["account"], request["region"], request["method"], request["body"])
    if operation == "dump":
        return {account: dump_account(account, request["regions"]) for account in request["accounts"]}
    if operation == "moto_key":
        with clients_lock:
            return moto_key(request["account"])
    if operation == "python":
        scope = {"client": client, "moto_client": moto_client, "document": document, "json": json, "ports": ports}
        exec(compile(request["code"], "<test>", "exec"), scope)
        return scope.get("result")
    raise OracleError("UnknownOperation", operation)


def serve(line):
    request = json.loads(line)
    reply = {"id": request.get("id")}
    here.endpoint = request.get("endpoint")
    try:
        reply["ok"] = answer(request)
    except botocore.exceptions.ClientError as error:
        reply["error"] = {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    except OracleError as error:
        reply["error"] = {"code": error.code, "message": str(error)}
    except Exception:
        reply["error"] = {"code": "Python", "message": traceback.format_exc()}
    say(reply)


try:
    ports = {}
    ports["ministack"], ports["moto"] = start_emulators()
    say(ports)
    # More threads would not be faster: the emulators are one process each.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for line in sys.stdin:
            pool.submit(serve, line)
finally:
    stop_children()
