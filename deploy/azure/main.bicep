// The service on Azure: Container Apps, PostgreSQL in a network of its own, a managed identity, an Azure Bot with its Teams
// channel. There is no client secret: the bot is who its managed identity says. docs/deploy.md has the commands.
targetScope = 'resourceGroup'

@description('Beginning of all names: small letters and digits.')
@minLength(3)
@maxLength(12)
param name string = 'provisioning'

param location string = resourceGroup().location

@description('The name that devices show, for example Contoso.')
param organisation string

@description('Entra object ids of the first admins, with commas between.')
param admins string

@description('The image, as registry/name:version.')
param image string

@description('An Azure Container Registry in this resource group that holds the image.')
param registry string

@description('Keys for codes, id:base64, newest first. Keep a copy where no backup of the database is.')
@secure()
param codeKeys string

@description('Password of the database: letters and digits, at least 24.')
@secure()
@minLength(24)
param databasePassword string

@description('F0 is free; S1 is for production.')
@allowed(['F0', 'S1'])
param botSku string = 'S1'

@minValue(1)
@maxValue(8)
param instances int = 2

var appName = '${name}-bot'
var pullRole = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '7f951dda-4ed3-4680-a7ca-43fe172d538d') // AcrPull
var appSubnet = '10.90.0.0/23'

// ── who it is ────────────────────────────────────────────────────────────────────────────────────────────────────

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
}

resource images 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: registry
}

resource mayPull 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(images.id, identity.id, pullRole)
  scope: images
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: pullRole
  }
}

// ── the network ──────────────────────────────────────────────────────────────────────────────────────────────────

resource network 'Microsoft.Network/virtualNetworks@2023-11-01' = {
  name: '${name}-network'
  location: location
  properties: {
    addressSpace: {
      addressPrefixes: ['10.90.0.0/16']
    }
    subnets: [
      {
        name: 'apps'
        properties: {
          addressPrefix: appSubnet
          delegations: [
            {
              name: 'apps'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'database'
        properties: {
          addressPrefix: '10.90.2.0/28'
          delegations: [
            {
              name: 'database'
              properties: {
                serviceName: 'Microsoft.DBforPostgreSQL/flexibleServers'
              }
            }
          ]
        }
      }
    ]
  }

  resource apps 'subnets' existing = {
    name: 'apps'
  }

  resource database 'subnets' existing = {
    name: 'database'
  }
}

resource zone 'Microsoft.Network/privateDnsZones@2020-06-01' = {
  name: '${name}.private.postgres.database.azure.com'
  location: 'global'

  resource link 'virtualNetworkLinks' = {
    name: 'network'
    location: 'global'
    properties: {
      registrationEnabled: false
      virtualNetwork: {
        id: network.id
      }
    }
  }
}

// ── the store. The embedded one needs a local disk that stays, which Container Apps do not have ──────────────────

resource server 'Microsoft.DBforPostgreSQL/flexibleServers@2023-12-01-preview' = {
  name: '${name}-${uniqueString(resourceGroup().id)}'
  location: location
  sku: {
    name: 'Standard_B2s'
    tier: 'Burstable'
  }
  properties: {
    version: '15'
    administratorLogin: 'bot'
    administratorLoginPassword: databasePassword
    network: {
      delegatedSubnetResourceId: network::database.id
      privateDnsZoneArmResourceId: zone.id
    }
    storage: {
      storageSizeGB: 32
    }
    backup: {
      backupRetentionDays: 14
      geoRedundantBackup: 'Disabled'
    }
    highAvailability: {
      mode: 'Disabled'
    }
  }
  dependsOn: [zone::link]

  resource database 'databases' = {
    name: 'provisioning'
    properties: {
      charset: 'UTF8'
      collation: 'en_US.utf8'
    }
  }
}

// ── the service ──────────────────────────────────────────────────────────────────────────────────────────────────

resource logs 'Microsoft.OperationalInsights/workspaces@2022-10-01' = {
  name: '${name}-logs'
  location: location
  properties: {
    retentionInDays: 30
    sku: {
      name: 'PerGB2018'
    }
  }
}

resource environment 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: '${name}-environment'
  location: location
  properties: {
    vnetConfiguration: {
      infrastructureSubnetId: network::apps.id
      internal: false
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

var host = '${appName}.${environment.properties.defaultDomain}'
// Within the private network; its certificate is not compared with a list, for the image brings none that libpq looks at.
var storeUrl = 'postgresql://bot:${uriComponent(databasePassword)}@${server.properties.fullyQualifiedDomainName}/provisioning?sslmode=require'

resource app 'Microsoft.App/containerApps@2024-03-01' = {
  name: appName
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    managedEnvironmentId: environment.id
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        targetPort: 3978
        transport: 'http'
        allowInsecure: false
      }
      registries: [
        {
          server: images.properties.loginServer
          identity: identity.id
        }
      ]
      secrets: [
        {
          name: 'store-url'
          value: storeUrl
        }
        {
          name: 'code-keys'
          value: codeKeys
        }
      ]
    }
    template: {
      terminationGracePeriodSeconds: 30
      containers: [
        {
          name: 'bot'
          image: image
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          env: [
            { name: 'MicrosoftAppType', value: 'UserAssignedMSI' }
            { name: 'CLIENT_ID', value: identity.properties.clientId }
            { name: 'TENANT_ID', value: tenant().tenantId }
            { name: 'ADMINS', value: admins }
            { name: 'ORGANISATION', value: organisation }
            { name: 'PUBLIC_URL', value: 'https://${host}' }
            { name: 'STORE_URL', secretRef: 'store-url' }
            { name: 'CODE_KEYS', secretRef: 'code-keys' }
            // The ingress, which alone reaches the app: it runs in the environment's own ranges.
            { name: 'TRUSTED_PROXIES', value: '100.100.0.0/16,${appSubnet}' }
            { name: 'LOG_FORMAT', value: 'json' }
          ]
          probes: [
            {
              type: 'Startup'
              httpGet: { path: '/healthz', port: 3978 }
              periodSeconds: 2
              failureThreshold: 60
            }
            {
              type: 'Liveness'
              httpGet: { path: '/healthz', port: 3978 }
              periodSeconds: 30
              timeoutSeconds: 3
            }
            {
              type: 'Readiness'
              httpGet: { path: '/readyz', port: 3978 }
              periodSeconds: 10
              timeoutSeconds: 3
            }
          ]
        }
      ]
      scale: {
        minReplicas: instances
        maxReplicas: instances
      }
    }
  }
  dependsOn: [mayPull, server::database]
}

// ── the bot ──────────────────────────────────────────────────────────────────────────────────────────────────────

resource bot 'Microsoft.BotService/botServices@2022-09-15' = {
  name: appName
  location: 'global'
  kind: 'azurebot'
  sku: {
    name: botSku
  }
  properties: {
    displayName: 'Provisioning Bot'
    endpoint: 'https://${host}/api/messages'
    msaAppType: 'UserAssignedMSI'
    msaAppId: identity.properties.clientId
    msaAppMSIResourceId: identity.id
    msaAppTenantId: tenant().tenantId
  }

  resource teams 'channels' = {
    name: 'MsTeamsChannel'
    location: 'global'
    properties: {
      channelName: 'MsTeamsChannel'
      properties: {
        isEnabled: true
      }
    }
  }
}

@description('What `python app.py package` needs.')
output clientId string = identity.properties.clientId
output publicUrl string = 'https://${host}'
