namespace Discobot.Tests.Fixtures;

/// <summary>What tests start as a process: the executable that is shipped, where <c>make test</c> has made it; else the one that is built with the tests.</summary>
internal static class Executable
{
    private const string Variable = "DISCOBOT_EXECUTABLE";

    public static string Path { get; } = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } shipped
        ? System.IO.Path.GetFullPath(shipped) : System.IO.Path.Combine(AppContext.BaseDirectory, "discobot");

    /// <summary>What the one needs that is built with the tests: <c>DOTNET_ROOT</c>.</summary>
    public static string Runtime { get; } = System.IO.Path.GetFullPath(System.IO.Path.Combine(System.IO.Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../.."));

    /// <summary>It lies there with all that it needs.</summary>
    public static string Directory => System.IO.Path.GetDirectoryName(Path)!;
}
