namespace Discobot.Features.Init.Supervision;

public sealed class StalePidFileTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("pid-").FullName;

    public void Dispose() => Directory.Delete(_directory, true);

    [Theory]
    [InlineData("42", true)]
    [InlineData("43\n", false)]
    [InlineData("44", false)]
    [InlineData("garbage", false)]
    [InlineData("", false)]
    public void Only_a_file_that_names_the_running_program_stays(string content, bool stays)
    {
        Directory.CreateDirectory(Path.Combine(_directory, "42"));
        File.WriteAllText(Path.Combine(_directory, "42", "comm"), "dockerd\n");
        Directory.CreateDirectory(Path.Combine(_directory, "43"));
        File.WriteAllText(Path.Combine(_directory, "43", "comm"), "bash\n");
        var file = Path.Combine(_directory, "docker.pid");
        File.WriteAllText(file, content);
        StalePidFile.Remove(file, "dockerd", new InitLog(static _ => { }, static _ => { }), _directory);
        Assert.Equal(stays, File.Exists(file));
    }
}
