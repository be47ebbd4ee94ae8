{
  'targets': [
    {
      # No compiler of node-gyp's own is used: the one action runs cargo, which needs no Node headers.
      'target_name': 'director',
      'type': 'none',
      'actions': [
        {
          'action_name': 'cargo',
          'inputs': ['../Cargo.toml'],
          'outputs': ['<(PRODUCT_DIR)/director.node', '<(PRODUCT_DIR)/ipvsadm'],
          'action': ['node', '../scripts/cargo-addon.mjs', '<(PRODUCT_DIR)/director.node', '<(CONFIGURATION_NAME)'],
          'message': 'Building the native addon and ipvsadm with cargo',
        },
      ],
    },
  ],
}
