// Azure resources of a Labelwright installation: storage, containers, one identity with the least rights, an Azure ML
// workspace, and a worker on Container Apps.
//   az deployment group create --resource-group RG --template-file infra/azure/main.bicep --parameters \
//     name=labelwright image=REGISTRY/labelwright:0.1.0 prefectApiUrl=https://prefect.example.com/api ledgerUrl=...

@description('Prefix of all names: 3 to 11 lower-case letters and digits.')
@minLength(3)
@maxLength(11)
param name string

@description('Where the resources are.')
param location string = resourceGroup().location

@description('The image that infra/Dockerfile makes, in a registry that the environment can read.')
param image string

@description('The API of the Prefect server.')
param prefectApiUrl string

@description('The ledger: postgresql://user:password@host/ledger?sslmode=require')
@secure()
param ledgerUrl string

@description('Workers at the same time.')
@minValue(1)
param workers int = 2

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
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: logs.properties.customerId
        sharedKey: logs.listKeys().primarySharedKey
      }
    }
  }
}

resource worker 'Microsoft.App/containerApps@2024-03-01' = {
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
          image: image
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
