using 'main.bicep'

param organisation = 'Contoso'
param admins = '00000000-0000-0000-0000-000000000000'
param registry = 'contosoimages'
param image = 'contosoimages.azurecr.io/provisioning-bot:1.0.0'
param codeKeys = readEnvironmentVariable('CODE_KEYS')
param databasePassword = readEnvironmentVariable('DATABASE_PASSWORD')
