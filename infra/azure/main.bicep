// Azure resources of a Labelwright installation: a network, storage that only it reaches, one identity with the least
// rights, an Azure ML workspace, and workers on Container Apps with a home folder that they share.
//   az deployment group create --resource-group RG --template-file infra/azure/main.bicep --parameters \
//     name=labelwright imageRepository=REGISTRY/labelwright imageDigest=sha256:... \
//     prefectApiUrl=https://prefect.example.com/api ledgerUrl=...

@description('Prefix of all names: 3 to 11 lower-case letters and digits.')
@minLength(3)
@maxLength(11)
param name string

@description('Where the resources are.')
param location string = resourceGroup().location

@description('The image that infra/Dockerfile makes, in a registry that the environment can read: without tag and digest.')
param imageRepository string

@description('Its digest, sha256:...: a tag may mean another image tomorrow. infra/pin-images shows it.')
@minLength(71)
@maxLength(71)
param imageDigest string

@description('The API of the Prefect server.')
param prefectApiUrl string

@description('The ledger: postgresql://ledger_worker:password@host/ledger?sslmode=require, a role of infra/postgres/roles.sql')
@secure()
param ledgerUrl string

@description('Workers at the same time.')
@minValue(1)
param workers int = 2

@description('Addresses or ranges (CIDR) from which images are fetched by signed URLs: platforms, labelers. Nobody by default.')
param allowedAddresses array = []

var unique = take('${name}${uniqueString(resourceGroup().id)}', 24)

// Built-in roles: learn.microsoft.com/azure/role-based-access-control/built-in-roles
var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var blobDelegator = 'db58b8e5-c6ad-4a2a-8342-4190687cbf4a'
var blobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
var machineLearningDataScientist = 'f6c7c914-8db3-469d-8ca1-694a8f32e121'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-worker'
  location: location
}

// Workers are in a subnet of their own; what they reach in private is in the other one.
resource network 'Microsoft.Network/virtualNetworks@2023-11-01' = {
  name: '${name}-network'
  location: location
  properties: {
    addressSpace: {
      addressPrefixes: [
        '10.40.0.0/16'
      ]
    }
  }
}

resource workersRules 'Microsoft.Network/networkSecurityGroups@2023-11-01' = {
  name: '${name}-workers'
  location: location
  properties: {
    securityRules: [
      {
        name: 'within'
        properties: {
          priority: 100
          direction: 'Outbound'
          access: 'Allow'
          protocol: '*'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: 'VirtualNetwork'
          destinationPortRange: '*'
        }
      }
      {
        // Platforms, images, stores, the registry, Prefect, Postgres.
        name: 'web-and-postgres'
        properties: {
          priority: 110
          direction: 'Outbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: 'Internet'
          destinationPortRanges: [
            '80'
            '443'
            '5432'
          ]
        }
      }
      {
        // The home folder: NFS, through the subnet's service endpoint.
        name: 'home'
        properties: {
          priority: 115
          direction: 'Outbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: 'Storage'
          destinationPortRange: '2049'
        }
      }
      {
        name: 'names-and-time'
        properties: {
          priority: 120
          direction: 'Outbound'
          access: 'Allow'
          protocol: 'Udp'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRanges: [
            '53'
            '123'
          ]
        }
      }
      {
        name: 'nothing-else'
        properties: {
          priority: 4000
          direction: 'Outbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: 'Internet'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource workersSubnet 'Microsoft.Network/virtualNetworks/subnets@2023-11-01' = {
  parent: network
  name: 'workers'
  properties: {
    addressPrefix: '10.40.0.0/23'
    networkSecurityGroup: {
      id: workersRules.id
    }
    delegations: [
      {
        name: 'apps'
        properties: {
          serviceName: 'Microsoft.App/environments'
        }
      }
    ]
    serviceEndpoints: [
      {
        service: 'Microsoft.Storage'
      }
      {
        service: 'Microsoft.KeyVault'
      }
    ]
  }
}

resource endpointsSubnet 'Microsoft.Network/virtualNetworks/subnets@2023-11-01' = {
  parent: network
  name: 'endpoints'
  dependsOn: [
    workersSubnet
  ]
  properties: {
    addressPrefix: '10.40.2.0/24'
  }
}

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: unique
  location: location
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  properties: {
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    allowBlobPublicAccess: false
    // Identities only: no account key is good for anything.
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    networkAcls: {
      defaultAction: 'Deny'
      // Azure ML reads datasets as a trusted service, by its own identity.
      bypass: 'AzureServices'
      virtualNetworkRules: [
        {
          id: workersSubnet.id
          action: 'Allow'
        }
      ]
      ipRules: [for address in allowedAddresses: {
        value: address
        action: 'Allow'
      }]
    }
  }
}

// The blobs under a private address of the network.
resource blobEndpoint 'Microsoft.Network/privateEndpoints@2023-11-01' = {
  name: '${name}-blob'
  location: location
  properties: {
    subnet: {
      id: endpointsSubnet.id
    }
    privateLinkServiceConnections: [
      {
        name: 'blob'
        properties: {
          privateLinkServiceId: account.id
          groupIds: [
            'blob'
          ]
        }
      }
    ]
  }
}

resource blobNames 'Microsoft.Network/privateDnsZones@2020-06-01' = {
  name: 'privatelink.blob.${az.environment().suffixes.storage}'
  location: 'global'
}

resource blobNamesInNetwork 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = {
  parent: blobNames
  name: '${name}-network'
  location: 'global'
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: network.id
    }
  }
}

resource blobNamesOfEndpoint 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2023-11-01' = {
  parent: blobEndpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: 'blob'
        properties: {
          privateDnsZoneId: blobNames.id
        }
      }
    ]
  }
}

// The home folder of all workers: labels under way, labelers' keys. NFS, because SMB shares are mounted by an account key.
resource homeAccount 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: '${take(unique, 20)}home'
  location: location
  kind: 'FileStorage'
  sku: {
    name: 'Premium_LRS'
  }
  properties: {
    minimumTlsVersion: 'TLS1_2'
    // NFS knows no TLS: only the subnet of the workers reaches it.
    supportsHttpsTrafficOnly: false
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    networkAcls: {
      defaultAction: 'Deny'
      bypass: 'None'
      virtualNetworkRules: [
        {
          id: workersSubnet.id
          action: 'Allow'
        }
      ]
    }
  }
}

resource homeFiles 'Microsoft.Storage/storageAccounts/fileServices@2023-05-01' = {
  parent: homeAccount
  name: 'default'
}

resource homeShare 'Microsoft.Storage/storageAccounts/fileServices/shares@2023-05-01' = {
  parent: homeFiles
  name: 'home'
  properties: {
    enabledProtocols: 'NFS'
    rootSquash: 'NoRootSquash'
    shareQuota: 100
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: 14
    }
  }
}

// Campaigns' images: read only.
resource images 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: 'images'
}

// Datasets, and the results of Prefect's tasks.
resource datasets 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: 'datasets'
}

resource results 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: 'prefect-results'
}

resource readsImages 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(images.id, identity.id, blobDataReader)
  scope: images
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataReader)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource writesDatasets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(datasets.id, identity.id, blobDataContributor)
  scope: datasets
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource writesResults 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(results.id, identity.id, blobDataContributor)
  scope: results
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

// To sign URLs in its own name; this right exists for whole accounts only, and reads nothing.
resource signsUrls 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, identity.id, blobDelegator)
  scope: account
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDelegator)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs'
  location: location
  properties: {
    retentionInDays: 30
    sku: {
      name: 'PerGB2018'
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-insights'
  location: location
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: logs.id
  }
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: '${take(unique, 20)}-kv'
  location: location
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 90
    networkAcls: {
      defaultAction: 'Deny'
      // Azure ML keeps the workspace's secrets in it.
      bypass: 'AzureServices'
      virtualNetworkRules: [
        {
          id: workersSubnet.id
        }
      ]
    }
  }
}

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-10-01' = {
  name: '${name}-ml'
  location: location
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    friendlyName: name
    storageAccount: account.id
    keyVault: vault.id
    applicationInsights: insights.id
    systemDatastoresAuthMode: 'identity'
  }
}

resource registersDatasets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(workspace.id, identity.id, machineLearningDataScientist)
  scope: workspace
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', machineLearningDataScientist)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource environment 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: '${name}-env'
  location: location
  properties: {
    vnetConfiguration: {
      infrastructureSubnetId: workersSubnet.id
      internal: true
    }
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ]
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: logs.properties.customerId
        sharedKey: logs.listKeys().primarySharedKey
      }
    }
  }
}

resource home 'Microsoft.App/managedEnvironments/storages@2026-01-01' = {
  parent: environment
  name: 'home'
  properties: {
    nfsAzureFile: {
      server: '${homeAccount.name}.file.${az.environment().suffixes.storage}'
      shareName: '/${homeAccount.name}/${homeShare.name}'
      accessMode: 'ReadWrite'
    }
  }
}

resource worker 'Microsoft.App/containerApps@2026-01-01' = {
  name: '${name}-worker'
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    managedEnvironmentId: environment.id
    configuration: {
      activeRevisionsMode: 'Single'
      secrets: [
        {
          name: 'ledger-url'
          value: ledgerUrl
        }
      ]
    }
    template: {
      terminationGracePeriodSeconds: 60
      containers: [
        {
          name: 'worker'
          image: '${imageRepository}@${imageDigest}'
          command: [
            'prefect'
            'worker'
            'start'
            '--type'
            'process'
            '--pool'
            'labelwright'
            '--with-healthcheck'
          ]
          env: [
            {
              name: 'PREFECT_API_URL'
              value: prefectApiUrl
            }
            {
              name: 'PREFECT_WORKER_WEBSERVER_PORT'
              value: '8081'
            }
            {
              name: 'LABELWRIGHT_LEDGER_URL'
              secretRef: 'ledger-url'
            }
            {
              name: 'LABELWRIGHT_SHARED_FOLDERS'
              value: '["/data"]'
            }
            {
              name: 'AZURE_CLIENT_ID'
              value: identity.properties.clientId
            }
            {
              name: 'LABELWRIGHT_CONTAINER_IDENTITY'
              value: 'true'
            }
          ]
          resources: {
            cpu: 1
            memory: '2Gi'
          }
          volumeMounts: [
            {
              volumeName: 'home'
              mountPath: '/data'
            }
          ]
          probes: [
            {
              type: 'Liveness'
              httpGet: {
                path: '/health'
                port: 8081
              }
              initialDelaySeconds: 60
              periodSeconds: 30
            }
          ]
        }
      ]
      volumes: [
        {
          name: 'home'
          storageType: 'NfsAzureFile'
          storageName: home.name
        }
      ]
      scale: {
        minReplicas: workers
        maxReplicas: workers
      }
    }
  }
}

output imagesContainer string = '${account.properties.primaryEndpoints.blob}images'
output datasetsContainer string = '${account.properties.primaryEndpoints.blob}datasets'
// LABELWRIGHT_RESULTS__ACCOUNT_URL, for `labelwright deploy`.
output resultsAccount string = account.properties.primaryEndpoints.blob
output workspaceName string = workspace.name
