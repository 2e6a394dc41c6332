using Discobot.Features.CommandLine;
using Discobot.Infrastructure.Native;

StandardStream.UseForConsole();
return await RootCommands.RunAsync(Environment.GetCommandLineArgs()[0], args);
