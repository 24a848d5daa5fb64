package bench

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"stentor/bench/page"
	"stentor/bench/result"
)

func compareCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "compare A B", Short: "ratios between two files of results", Args: cobra.ExactArgs(2), SilenceUsage: true,
		Long: `Compare the results in two files that --out has written, figure by figure. Files with several results of a scenario are rounds: the n-th of A is
paired with the n-th of B, and the median of the paired ratios stands with its quartiles. Let the two sides take turns while measuring, so
that a drift of the machine favours neither.`,
		Example: `  for round in 1 2 3 4 5 6 7 8 9; do
    stentor bench api --server './old -c config.json -p {port}' --api-key KEY --out old.json
    stentor bench api --server './new -c config.json -p {port}' --api-key KEY --out new.json
  done
  stentor bench compare old.json new.json`,
		RunE: func(c *cobra.Command, args []string) error {
			a, err := result.ReadFile(args[0])
			if err != nil {
				return err
			}
			b, err := result.ReadFile(args[1])
			if err != nil {
				return err
			}
			comparison, err := result.Compare(a, b)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(comparison)
			}
			comparison.Text(c.OutOrStdout(), args[0], args[1])
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the comparison as one line of JSON")
	return c
}

func pageCommand() *cobra.Command {
	return &cobra.Command{
		Use: "page RESULTS... PAGE", Short: "one page with charts of all results in files", Args: cobra.MinimumNArgs(2), SilenceUsage: true,
		Example: `  stentor bench page results.json benchmarks.html`,
		RunE: func(_ *cobra.Command, args []string) error {
			files, to := args[:len(args)-1], args[len(args)-1]
			var all []result.Result
			for _, f := range files {
				some, err := result.ReadFile(f)
				if err != nil {
					return err
				}
				all = append(all, some...)
			}
			return page.WriteFile(to, all)
		},
	}
}
