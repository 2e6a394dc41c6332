using Discobot.Features.CommandLine;

return await RootCommands.RunAsync(Environment.GetCommandLineArgs()[0], args);
