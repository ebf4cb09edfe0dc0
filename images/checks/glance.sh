user glance
runs glance-manage --version
readable /usr/bin/glance-wsgi-api /etc/glance/glance-api.conf /etc/glance/glance-api-paste.ini /etc/glance/metadefs/compute-quota.json
runs python3 -c 'import glance.common.wsgi_app, boto3; boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")'
