: "${XDEPLOY_DEV_ROLE:?set this CI variable to the role of the development account}"
: "${XDEPLOY_PROD_ROLE:?set this CI variable to the role of the production account}"
umask 077
folder=$(mktemp -d)
@TOKEN@ > "$folder/token"
cat > "$folder/aws-config" << END
[profile dev]
role_arn = $XDEPLOY_DEV_ROLE
web_identity_token_file = $folder/token
role_session_name = xdeploy
region = @REGION@

[profile prod]
role_arn = $XDEPLOY_PROD_ROLE
web_identity_token_file = $folder/token
role_session_name = xdeploy
region = @PROD_REGION@
END
@EXPORT@
