from stackroles.kube.redact import named_secrets, redact_status, redactor

PASSWORD = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e"


def test_values_of_secrets_are_masked_wherever_they_stand() -> None:
    redact = redactor([PASSWORD, "Fernet/Key+ring==", "root"])
    assert redact(f"refused for root: {PASSWORD}!") == "refused for root: ***!"
    assert redact("key Fernet/Key+ring==, as Fernet/Key%2Bring%3D%3D") == "key ***, as ***"


def test_a_password_in_a_url_is_masked_though_nobody_knows_it() -> None:
    message = "connecting to mysql+pymysql://keystone:hunter2@demo-haproxy:3306/keystone failed"
    masked = "connecting to mysql+pymysql://keystone:***@demo-haproxy:3306/keystone failed"
    assert redactor([])(message) == masked
    plain = "http://demo-keystone:5000/v3 said 503 to admin@example.org"
    assert redactor([])(plain) == plain


def test_a_value_within_another_leaves_nothing_of_the_longer_one() -> None:
    assert redactor([PASSWORD[:10], PASSWORD])(PASSWORD) == "***"


def test_texts_of_a_status_are_redacted_and_identifiers_are_not() -> None:
    status = {
        "conditions": [{"type": "Ready", "reason": "mariadb-x", "message": "mariadb-x fails"}],
        "roles": [{"name": "mariadb-x", "message": "mariadb-x"}],
        "virtReason": "mariadb-x",
        "children": [{"kind": "Secret", "name": "mariadb-x"}],
    }
    assert redact_status(status, redactor(["mariadb-x"])) == {
        "conditions": [{"type": "Ready", "reason": "mariadb-x", "message": "*** fails"}],
        "roles": [{"name": "mariadb-x", "message": "***"}],
        "virtReason": "***",
        "children": [{"kind": "Secret", "name": "mariadb-x"}],
    }


def test_secrets_that_a_resource_names_are_known() -> None:
    policy = {
        "spec": {
            "encryptionSecret": "restic",
            "repository": {"s3": {"credentialsSecret": "bucket"}},
        }
    }
    assert named_secrets(policy) == {"restic", "bucket"}
    assert named_secrets({"spec": {"recoverySet": policy["spec"]}}) == {"restic", "bucket"}
    assert named_secrets({"spec": {"credentials": {"glance": "store"}}}) == {"store"}
    assert named_secrets({}) == set()
