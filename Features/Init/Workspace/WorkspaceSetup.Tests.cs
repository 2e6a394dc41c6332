using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Workspace;

public sealed class WorkspaceSetupTests : IDisposable
{
    private ContainerFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public async Task Without_a_path_the_workspace_is_an_empty_directory_of_the_agents()
    {
        await RunAsync();
        Assert.Empty(Directory.GetFileSystemEntries(Workspace));
        Assert.Equal(ContainerFixture.Agent.Owner, Libc.StatusOf(Workspace)!.Value.Owner);
    }

    [Fact]
    public async Task A_plain_directory_is_copied_whole_and_its_FIFOs_are_left_out()
    {
        Use("/source");
        _fixture.Write("source/deep/file", "content");
        ContainerFixture.Sh("mkfifo \"$1\"", _fixture.At("source/fifo"));
        await RunAsync().WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal("content", File.ReadAllText(Path.Combine(Workspace, "deep/file")));
        Assert.Equal(ContainerFixture.Agent.Owner, Libc.StatusOf(Path.Combine(Workspace, "deep/file"))!.Value.Owner);
        Assert.False(File.Exists(Path.Combine(Workspace, "fifo")));
    }

    [Fact]
    public async Task A_repository_is_cloned_at_the_commit_on_a_branch_without_sharing_files_with_it()
    {
        Use("/source", "first");
        ContainerFixture.Sh("""
            mkdir "$1"; cd "$1"; git init -q .; git config user.email a@b; git config user.name n; echo one > file; git add .; git commit -qm 1; git tag first
            echo two > file; git commit -qam 2
            """, _fixture.At("source"));
        await RunAsync();
        Assert.Equal("one\n", File.ReadAllText(Path.Combine(Workspace, "file")));
        Assert.Equal("ref: refs/heads/discobot-session\n", File.ReadAllText(Path.Combine(Workspace, ".git/HEAD")));
        foreach (var file in Directory.GetFiles(Path.Combine(Workspace, ".git/objects"), "*", SearchOption.AllDirectories))
            Assert.Equal((1u, ContainerFixture.Agent.Owner), (Libc.StatusOf(file)!.Value.Links, Libc.StatusOf(file)!.Value.Owner));
        Assert.All(Directory.GetFiles(_fixture.At("source/.git/objects"), "*", SearchOption.AllDirectories), f => Assert.Equal(Owner.Root, Libc.StatusOf(f)!.Value.Owner));
    }

    [Fact]
    public async Task A_clone_that_was_interrupted_is_made_anew_and_a_workspace_that_is_there_is_left_alone()
    {
        Use("/source");
        _fixture.Write("source/file", "whole");
        _fixture.Write(".data/discobot/workspace.staging/file", "ha");
        await RunAsync();
        Assert.Equal("whole", File.ReadAllText(Path.Combine(Workspace, "file")));
        File.WriteAllText(Path.Combine(Workspace, "file"), "worked on");
        await RunAsync();
        Assert.Equal("worked on", File.ReadAllText(Path.Combine(Workspace, "file")));
    }

    [Fact]
    public async Task What_is_neither_is_an_error_that_names_it_and_leaves_no_workspace()
    {
        Use("/no/such/place");
        var error = await Assert.ThrowsAsync<StartupException>(RunAsync);
        Assert.Contains("/no/such/place is neither a git URL nor an existing directory", error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Workspace));
    }

    private string Workspace => _fixture.At(".data/discobot/workspace");

    private void Use(string path, string commit = "")
    {
        _fixture.Dispose();
        _fixture = new ContainerFixture(("WORKSPACE_PATH", path), ("WORKSPACE_COMMIT", commit));
    }

    private Task RunAsync()
    {
        Directory.CreateDirectory(_fixture.At(".data/discobot"));
        return new WorkspaceSetup(_fixture.Container).RunAsync(CancellationToken.None);
    }
}
