exec keystone-manage bootstrap \
  --bootstrap-username admin \
  --bootstrap-project-name admin \
  --bootstrap-role-name admin \
  --bootstrap-service-name keystone \
  --bootstrap-region-id 'RegionOne' \
  --bootstrap-admin-url http://demo-keystone.ns.svc:5000/v3 \
  --bootstrap-internal-url http://demo-keystone.ns.svc:5000/v3 \
  --bootstrap-public-url http://demo-keystone.ns.svc:5000/v3
