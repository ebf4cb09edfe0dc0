nova-manage cell_v2 map_cell0 --database_connection '{scheme}://{username}:{password}@{hostname}:{port}/nova_cell0'
cells=$(nova-manage cell_v2 list_cells)
uuid=$(echo "$cells" | awk '$2 == "cell1" { print $4 }')
if [ -z "$uuid" ]; then
  exec nova-manage cell_v2 create_cell --verbose --name cell1 \
  --database_connection '{scheme}://{username}:{password}@{hostname}:{port}/{path}' \
  --transport-url '{scheme}://{username}:{password}@{hostname}:{port}/{path}'
fi
exec nova-manage cell_v2 update_cell --cell_uuid "$uuid" --name cell1 \
  --database_connection '{scheme}://{username}:{password}@{hostname}:{port}/{path}' \
  --transport-url '{scheme}://{username}:{password}@{hostname}:{port}/{path}'
