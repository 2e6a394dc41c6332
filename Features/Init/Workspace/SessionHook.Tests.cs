using System.Text;

namespace Discobot.Features.Init.Workspace;

public sealed class SessionHookTests
{
    [Theory]
    [InlineData("#!/bin/sh\n---\nname: Install\ntype: session\nrun_as: root\nblocking: true\n---\n")]
    [InlineData("#!/bin/sh\n#---\n# name: Install\n# type: session\n# run_as: root\n# blocking: true\n#---\n")]
    [InlineData("#!/usr/bin/env node\r\n\r\n//---\r\n// name: \"Install\"\r\n// type: session\r\n// run_as: root\r\n// blocking: true\r\n//---\r\n")]
    public void The_front_matter_is_read_in_each_comment_style(string text)
        => Assert.Equal(new SessionHook("10-in_all.sh", "Install", "session", true, true), Parse("10-in all.sh", text));

    [Fact]
    public void The_pages_example_is_one()
    {
        var page = File.ReadAllText(Path.Combine(Tests.Fixtures.Checkout.Top(), "docs/init.md"));
        var example = page[page.IndexOf("```sh\n#!", StringComparison.Ordinal)..]["```sh\n".Length..].Split("```")[0];
        Assert.Equal(new SessionHook("10-install", "Install what the project needs", "session", false, true), Parse("10-install", example));
    }

    [Fact]
    public void Without_a_word_it_runs_as_the_agent_and_nobody_waits()
        => Assert.Equal(new SessionHook("a", "a", "session", false, false), Parse("a", "#!/bin/sh\n#---\n# type: session\n#---\n"));

    [Theory]
    [InlineData(".hidden", "#!/bin/sh\n---\ntype: session\n---\n")]
    [InlineData("a", "---\ntype: session\n---\n")]
    [InlineData("a", "#!/bin/sh\necho\n---\ntype: session\n---\n")]
    [InlineData("a", "#!/bin/sh\n---\ntype: session\n")]
    [InlineData("a", "#!")]
    public void What_has_no_front_matter_is_no_hook(string name, string text) => Assert.Null(Parse(name, text));

    private static SessionHook? Parse(string name, string text) => SessionHook.Parse(name, Encoding.UTF8.GetBytes(text));
}
