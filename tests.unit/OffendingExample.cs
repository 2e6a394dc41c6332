// Two features that exist only to break the rule between them, so that the rule's test is seen to fail on a violation.
namespace Discobot.Features.OffendedExample
{
    internal static class Offended
    {
        public static int Answer() => 42;
    }
}

namespace Discobot.Features.OffendingExample
{
    internal static class Offender
    {
        public static object Use() => OffendedExample.Offended.Answer() + 1;
    }
}
